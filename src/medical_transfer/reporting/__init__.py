"""What people read: figures, tables and one self-contained page. Everything here starts from plain tables; no torch."""
