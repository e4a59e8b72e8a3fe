"""Compare what the engine makes of public test pictures with what browsers and libvips show: `make pictures-check`."""
