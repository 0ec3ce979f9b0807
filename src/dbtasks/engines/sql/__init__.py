"""SQL as text: quoting and lexing."""
