"""Small tools without knowledge of the product: settings, logs, ids, clock, media, fetching."""
