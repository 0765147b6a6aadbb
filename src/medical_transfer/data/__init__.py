"""From files to rows and pixels: packages, readers, manifest, decoding, audit, cache."""
