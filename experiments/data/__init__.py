"""Images and labels: the published layout, the embedded data set, splits and augmentation."""
