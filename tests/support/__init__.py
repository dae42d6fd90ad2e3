"""Twins and makers that several test packages share."""
