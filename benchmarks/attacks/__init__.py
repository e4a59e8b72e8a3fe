"""Attacks on what was hidden: what an effect leaves of faces, number plates and text (`make attack`)."""
