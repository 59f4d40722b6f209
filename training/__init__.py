"""From a folder of labelled photos to a model in service: dataset, classifier, report, launch."""
