"""A case's file over HTTP: documents, moments, reviews, decisions, waivers, findings."""
