"""Files to run and monitor ImageBlur on servers."""
