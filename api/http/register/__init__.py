"""The register of officers and sources over HTTP, random checks, the year's figures."""
