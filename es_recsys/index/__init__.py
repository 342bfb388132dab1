"""The indices of a store: documents, bulk writing, versions behind aliases, and the catalogue kept in them."""
