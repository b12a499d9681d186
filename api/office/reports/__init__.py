"""Reports for supervisors: duties, forecast, the year's figures; the register they rest on."""
