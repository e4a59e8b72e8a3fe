"""The pages of orders: form, upload, progress, downloads."""
