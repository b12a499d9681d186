"""The court's page: one HTML file that checks a bundle in a browser, without any network."""
