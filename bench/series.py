"""What a server counted, read from its Prometheus endpoint."""

from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families


class Series:
    """The values of all series at one moment."""

    def __init__(self, address: str) -> None:
        with urlopen(f"http://{address}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the series with these labels."""
        found = (sample for sample in self._samples if sample.name == name)
        return sum(sample.value for sample in found if labels.items() <= sample.labels.items())

    def since(self, before: "Series", name: str, **labels: str) -> float:
        """Return by how much the sum has grown."""
        return self.value(name, **labels) - before.value(name, **labels)
