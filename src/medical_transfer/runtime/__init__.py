"""What every room stands on: seeds, devices, content keys, atomic files, progress."""
