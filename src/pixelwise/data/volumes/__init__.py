"""Volumes: NIfTI files and TIFF stacks as (D, H, W, C) arrays, their spacing, patches and augmentation."""
