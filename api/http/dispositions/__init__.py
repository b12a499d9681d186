"""Dispositions and destruction certificates over HTTP."""
