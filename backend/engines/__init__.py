"""How an engine is driven from the service side: adapters, supervisor, protocol."""
