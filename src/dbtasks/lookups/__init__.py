"""The small query language: models, fields and conditions by the names that users give them."""
