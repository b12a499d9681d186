"""Cases in the catalogue: stages, actions, exhibits, case file, waivers, doubts."""
