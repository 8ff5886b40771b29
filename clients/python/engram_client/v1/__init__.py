"""The messages and stubs of engram.v1, generated from proto/ by clients/python/generate."""
