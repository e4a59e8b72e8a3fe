"""The ImageBlur interface; `imageblur.v1` holds the code generated from `protos/imageblur/v1`."""
