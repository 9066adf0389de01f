"""Recognisers: sound in, words out. One vendor, one file, each found by its `SPEC`."""
