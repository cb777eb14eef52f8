"""Reads PROV with Python's prov and rdflib, and tells what it has found as JSON.

prov_check.py DOCUMENT.json [DOCUMENT.ttl]
"""
import collections
import io
import json
import sys

import prov.model
import rdflib


def counts(container):
    return collections.Counter(record.get_type().localpart for record in container.get_records())


def read(path):
    with open(path, encoding="utf-8") as file:
        return prov.model.ProvDocument.deserialize(file, format="json")


def again(document, format_):
    """What becomes of it by way of another file of prov's own."""
    buffer = io.StringIO() if format_ == "json" else io.BytesIO()
    document.serialize(buffer, format=format_)
    buffer.seek(0)
    return prov.model.ProvDocument.deserialize(buffer, format=format_)


document = read(sys.argv[1])
raw = json.load(open(sys.argv[1], encoding="utf-8"))
elements = ("prefix", "bundle", "entity", "activity", "agent")
ids = [
    id_
    for body in [raw, *raw.get("bundle", {}).values()]
    for section, statements in body.items()
    if section not in elements
    for id_ in statements
]
found = {
    "counts": counts(document),
    "bundles": {str(bundle.identifier): counts(bundle) for bundle in document.bundles},
    "relationIds": len(ids),
    "distinctRelationIds": len(set(ids)),
    "jsonEqual": again(document, "json") == document,
    "xmlEqual": again(document, "xml") == document if "--xml" in sys.argv else None,
    "provn": document.get_provn(),
}
if len(sys.argv) > 2 and sys.argv[2].endswith(".ttl"):
    graph = rdflib.Graph().parse(sys.argv[2], format="turtle")
    found["triples"] = len(graph)
    PROV = rdflib.Namespace("http://www.w3.org/ns/prov#")
    found["properties"] = collections.Counter(str(p) for _, p, _ in graph if str(p).startswith(str(PROV)))
print(json.dumps(found))
