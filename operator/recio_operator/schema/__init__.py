"""The custom resource definitions, made from the fields of the documents."""
