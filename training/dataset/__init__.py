"""From folders of photos to a versioned dataset: readers, duplicates, splits, upload."""
