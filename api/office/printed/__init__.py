"""Documents printed as PDF: destruction certificates and the key letter."""
