"""The centre's side of intake: uploads, accession, receipts, links."""
