"""Makes the OpenAPI document of the HTTP interface from the protos and `services.web.api.operations`."""
