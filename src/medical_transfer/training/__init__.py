"""One LightningModule and one `fit` for all methods; the only room that imports lightning."""
