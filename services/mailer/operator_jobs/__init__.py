"""Operator jobs: what operators request from mailers and wait for."""
