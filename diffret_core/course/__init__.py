"""The teaching layer: what notebooks import besides the core. The only home of matplotlib, plotly and ipywidgets."""
