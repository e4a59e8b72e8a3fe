"""The services of ImageBlur. No service imports another; what two of them need is in `services.common`."""
