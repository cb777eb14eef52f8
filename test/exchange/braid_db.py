"""Braid-DB's tables as its definition is published, as SQLModel classes, and the little that its tools do with them.

Usage: braid_db.py DB COMMAND [ARGUMENT...] [-- COMMAND [ARGUMENT...]]..., which prints a JSON array of what each prints:
  create                  a new database, with a small load in it
  print                   a line a record, with its URIs and tags below
  mermaid ID              what is connected with a record
  add                     a record of its own, derived from the newest one
  invalidate ID CAUSE     a record and all that derives from it
  validity                the records that are not valid, as JSON: id, cause, and how many steps to the first cause
"""

import io
import json
import sys
import uuid
from contextlib import redirect_stdout
from datetime import datetime
from enum import Enum
from typing import List, Optional

from sqlmodel import JSON, Column, Field, Relationship, Session, SQLModel, create_engine, select
from sqlmodel import Enum as EnumColumn


class Derivation(SQLModel, table=True):
    __tablename__ = 'derivations'
    record_id: Optional[int] = Field(default=None, primary_key=True, foreign_key='records.record_id')
    derivation: Optional[int] = Field(default=None, primary_key=True, foreign_key='records.record_id')
    time: datetime = Field(default_factory=datetime.utcnow)


class Invalidation(SQLModel, table=True):
    __tablename__ = 'invalidations'
    id: Optional[uuid.UUID] = Field(default_factory=uuid.uuid4, primary_key=True)
    root_invalidation: Optional[uuid.UUID] = Field(foreign_key='invalidations.id')
    cause: str
    time: datetime = Field(default_factory=datetime.utcnow)
    records: List['Record'] = Relationship(back_populates='invalidation')


class ActionType(str, Enum):
    SHELL_COMMAND = 'shell'
    AUTOMATE_EVENT = 'automate_event'


class InvalidationAction(SQLModel, table=True):
    __tablename__ = 'invalidation_actions'
    action_type: ActionType = Field(sa_column=Column(EnumColumn(ActionType)))
    params: dict = Field(default_factory=dict, sa_column=Column(JSON))
    id: Optional[uuid.UUID] = Field(default_factory=uuid.uuid4, primary_key=True)
    name: str
    cmd: str
    records: List['Record'] = Relationship(back_populates='invalidation_action')


class Uri(SQLModel, table=True):
    __tablename__ = 'uris'
    id: Optional[int] = Field(default=None, primary_key=True)
    record_id: int = Field(foreign_key='records.record_id', index=True)
    uri: str
    record: 'Record' = Relationship(back_populates='uris')


class Record(SQLModel, table=True):
    __tablename__ = 'records'
    record_id: Optional[int] = Field(default=None, primary_key=True)
    name: str
    time: datetime = Field(default_factory=datetime.utcnow)
    invalidation_id: Optional[uuid.UUID] = Field(default=None, foreign_key='invalidations.id')
    invalidation_action_id: Optional[uuid.UUID] = Field(default=None, foreign_key='invalidation_actions.id')
    invalidation: Optional[Invalidation] = Relationship(back_populates='records')
    invalidation_action: Optional[InvalidationAction] = Relationship(back_populates='records')
    uris: List[Uri] = Relationship(back_populates='record')
    tags: List['Tag'] = Relationship(back_populates='record')


class Tag(SQLModel, table=True):
    __tablename__ = 'tags'
    id: Optional[int] = Field(default=None, primary_key=True)
    record_id: int = Field(foreign_key='records.record_id')
    key: str
    value: str
    tag_type: int
    record: Record = Relationship(back_populates='tags')


TAG_TYPES = {str: 1, int: 2, float: 3}


class Tools:
    def __init__(self, path, is_new=False):
        self.engine = create_engine(f'sqlite:///{path}')
        if is_new:
            SQLModel.metadata.create_all(self.engine)
        self.session = Session(self.engine)

    def add(self, name, uris=(), tags=None, sources=(), time=None, action=None):
        record = Record(name=name, **({} if time is None else {'time': time}), invalidation_action=action)
        record.uris = [Uri(uri=uri) for uri in uris]
        record.tags = [Tag(key=key, value=str(value), tag_type=TAG_TYPES[type(value)]) for key, value in (tags or {}).items()]
        self.session.add(record)
        self.session.commit()
        for source in sources:
            self.derive(source, record)
        return record

    def derive(self, source, derived):
        self.session.add(Derivation(record_id=source.record_id, derivation=derived.record_id))
        self.session.commit()

    def records(self):
        return self.session.exec(select(Record).order_by(Record.record_id)).all()

    def derived(self, record):
        found = select(Derivation.derivation).where(Derivation.record_id == record.record_id)
        return sorted(self.session.exec(found).all())

    def sources(self, record):
        found = select(Derivation.record_id).where(Derivation.derivation == record.record_id)
        return sorted(self.session.exec(found).all())

    def invalidate(self, record, cause, parent=None):
        if record.invalidation_id is not None:
            return
        record.invalidation = Invalidation(cause=cause, root_invalidation=parent)
        self.session.add(record)
        self.session.commit()
        for derived in self.derived(record):
            self.invalidate(self.session.get(Record, derived), cause, record.invalidation_id)

    def print(self):
        for record in self.records():
            time = str(record.time)
            print(f'[{record.record_id:5}] : {record.name:16} {time} <- {self.derived(record)}')
            for uri in record.uris:
                print(f'          URI: {uri.uri}')
            for tag in record.tags:
                print(f'          TAG: {tag.key} = {tag.value} ({tag.tag_type})')

    def mermaid(self, start):
        seen, waiting = set(), [start]
        print('graph TD')
        while waiting:
            record = self.session.get(Record, waiting.pop())
            if record.record_id in seen:
                continue
            seen.add(record.record_id)
            print(f'record{record.record_id}("{record.name}")')
            for derived in self.derived(record):
                print(f'record{record.record_id}-->record{derived}')
            waiting += self.derived(record) + self.sources(record)

    def validity(self):
        found = []
        for record in self.records():
            if record.invalidation is None:
                continue
            steps, at = 0, record.invalidation
            while at.root_invalidation is not None:
                steps, at = steps + 1, self.session.get(Invalidation, at.root_invalidation)
            found.append([record.record_id, record.invalidation.cause, steps])
        print(json.dumps(found))

    def load(self):
        """A configuration, a model that is trained on what comes later, scans; times local and UTC, as they come."""
        local = datetime(2026, 1, 2, 5, 4, 5, 678901)
        utc = datetime(2026, 1, 2, 3, 4, 6)
        command = {'args': ['{uri}', '--why', '{name}']}
        action = InvalidationAction(name='quarantine', action_type=ActionType.SHELL_COMMAND, cmd='true', params=command)
        config = self.add('config', ['file:///cfg.json'], {'energy': 12.5}, time=local)
        model = self.add('model', sources=[config], time=utc, action=action)
        scans = [self.add(f'scan-{i}', [f'file:///scan-{i}.h5'], {'frames': 100 + i, 'detector': 'Eiger', 'loss': 0.5 / (i + 1)}, [config]) for i in range(3)]
        for scan in scans:
            self.derive(scan, model)
        self.add('peaks', tags={'big': 2**70, 'odd': float('nan')}, sources=[model, scans[2]])
        self.add('alone')


def run(path, command, *arguments):
    tools = Tools(path, command == 'create')
    if command == 'create':
        tools.load()
    elif command == 'add':
        newest = tools.records()[-1]
        print(tools.add('by Braid-DB', ['file:///theirs'], {'n': 5, 'x': 0.25, 's': 'text'}, [newest]).record_id)
    elif command == 'invalidate':
        tools.invalidate(tools.session.get(Record, int(arguments[0])), arguments[1])
    elif command == 'mermaid':
        tools.mermaid(int(arguments[0]))
    else:
        {'print': tools.print, 'validity': tools.validity}[command]()


def main(path, *words):
    commands = [[]]
    for word in words:
        if word == '--':
            commands.append([])
        else:
            commands[-1].append(word)
    printed = []
    for command in commands:
        with redirect_stdout(io.StringIO()) as output:
            run(path, *command)
        printed.append(output.getvalue())
    print(json.dumps(printed))


if __name__ == '__main__':
    main(*sys.argv[1:])
