"""HTTP only: parse a request, call one service, answer."""
