"""The revision files: read, listed, drawn, checked and edited."""
