"""Serialize a photo: from the bytes of an upload to a small upright JPEG."""
