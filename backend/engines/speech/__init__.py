"""How engines of speech are driven from the service's side."""
