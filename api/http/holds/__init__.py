"""Holds and their proposed releases over HTTP."""
