// What each op of docs/wire-format.md holds, and in which order: written once, read twice. The decoder reads
// every op through a reader that checks each field; the tables then read the same bytes through one that no
// longer needs to.
#pragma once

#include <cstdint>

namespace braid {

enum class OpType : uint32_t {
  kRecord = 1,
  kUri,
  kTag,
  kDerivation,
  kUpdate,
  kExposure,
  kVersionUri,
  kVersionTag,
  kInvalidation,
  kInvalidationAction,
};

// Bytes that belong to the round: no terminator, not owned.
struct Text {
  const char* data;
  uint32_t bytes;
};

struct TaggedId {
  int64_t id;
  uint32_t tag;
};

// How a reference to a version says which one it means.
enum class Form : uint32_t { kNone, kUnknown, kStep, kOrdinal, kElsewhere };

struct Version {
  Form form = Form::kNone;
  const uint8_t* run =
      nullptr;  // 16 bytes and an attempt of its own, of kElsewhere only; else those of the frame
  uint32_t attempt = 0;
  int64_t step = 0;
  int64_t rank = -1;  // -1: the version of a step
  int64_t ordinal = -1;

  bool Known() const { return form > Form::kUnknown; }
  bool OfStep() const { return Known() && rank < 0; }
};

struct Tag {
  int type;
  bool boolean;
  Text key;
  Text value;
};

struct RecordOp {
  int64_t id;
  uint32_t kind;
  int64_t time;
  Text name;
};

struct UriOp {
  int64_t record;
  Text uri;
};

struct TagOp {
  int64_t record;
  Tag tag;
};

struct DerivationOp {
  int64_t source;
  Version version;
  int64_t derived;
  int64_t time;
};

struct UpdateOp {
  int64_t model;
  Version made;
  Version seen;
  int64_t time;
};

struct ExposureOp {
  int64_t source;
  Version version;
};

struct VersionUriOp {
  Text uri;
};

struct VersionTagOp {
  Tag tag;
};

struct InvalidationOp {
  int64_t record;
  bool cascades;
  int64_t time;
  const uint8_t* id;  // 16 bytes
  Version version;    // none: the record itself
  Text cause;
};

struct InvalidationActionOp {
  int64_t record;
  uint32_t type;
  int64_t time;
  const uint8_t* id;  // 16 bytes
  Text name;
  Text command;
  Text params;
};

inline uint32_t LoadU32(const uint8_t* at) {
  return at[0] | uint32_t{at[1]} << 8 | uint32_t{at[2]} << 16 | uint32_t{at[3]} << 24;
}

inline uint64_t LoadU64(const uint8_t* at) {
  return LoadU32(at) | uint64_t{LoadU32(at + 4)} << 32;
}

// Reads an op that the decoder has accepted.
class TrustingReader {
 public:
  explicit TrustingReader(const uint8_t* payload) : at_(payload) {}

  uint32_t U32() { return LoadU32(Take(4)); }
  int64_t Integer() { return static_cast<int64_t>(LoadU64(Take(8))); }
  int64_t Id() { return Integer(); }
  TaggedId IdWithTag() {
    const uint64_t word = LoadU64(Take(8));
    return {static_cast<int64_t>(word & 0x00ff'ffff'ffff'ffff), static_cast<uint32_t>(word >> 56)};
  }
  const uint8_t* Uuid() { return Take(16); }
  Text String(uint32_t bytes) { return {reinterpret_cast<const char*>(Take(bytes)), bytes}; }
  void Require(bool, const char*) {}

 private:
  const uint8_t* Take(uint32_t bytes) {
    const uint8_t* field = at_;
    at_ += bytes;
    return field;
  }

  const uint8_t* at_;
};

template <class Reader>
Version ReadVersion(Reader& in, uint32_t form) {
  Version version;
  version.form = static_cast<Form>(form);
  if (version.form == Form::kElsewhere) {
    version.run = in.Uuid();
    version.attempt = in.U32();
    in.Require(version.attempt >= 1, "an attempt is counted from 1");
    form = in.U32();
    in.Require(form == 2 || form == 3, "a version of another attempt has form 2 or 3");
  }
  if (static_cast<Form>(form) == Form::kStep) {
    version.step = in.Integer();
  } else if (static_cast<Form>(form) == Form::kOrdinal) {
    version.rank = in.U32();
    version.ordinal = in.U32();
  }
  return version;
}

template <class Reader>
Tag ReadTag(Reader& in, uint32_t type) {
  constexpr uint32_t kBoolean = 0x12;
  in.Require((type >= 1 && type <= 3) || type == kBoolean, "a tag has an unknown type");
  const uint32_t key_bytes = in.U32();
  const uint32_t value_bytes = in.U32();
  return {static_cast<int>(type & 0xf), type == kBoolean, in.String(key_bytes), in.String(value_bytes)};
}

template <class Reader>
void Read(Reader& in, RecordOp& op) {
  const auto [id, kind] = in.IdWithTag();
  in.Require(kind >= 1 && kind <= 3, "a record has an unknown kind");
  op = {id, kind, in.Integer(), in.String(in.U32())};
}

template <class Reader>
void Read(Reader& in, UriOp& op) {
  op = {in.Id(), in.String(in.U32())};
}

template <class Reader>
void Read(Reader& in, TagOp& op) {
  const auto [record, type] = in.IdWithTag();
  op = {record, ReadTag(in, type)};
}

template <class Reader>
void Read(Reader& in, DerivationOp& op) {
  const auto [source, form] = in.IdWithTag();
  in.Require(form <= 4, "a version has an unknown form");
  op.source = source;
  op.derived = in.Id();
  op.time = in.Integer();
  op.version = ReadVersion(in, form);
}

template <class Reader>
void Read(Reader& in, UpdateOp& op) {
  const auto [model, made] = in.IdWithTag();
  in.Require(made == 2 || made == 3, "an update makes a version of form 2 or 3");
  op.model = model;
  op.time = in.Integer();
  const uint32_t seen = in.U32();
  in.Require(seen <= 4 && seen != 1, "an update has seen a version of form 0, 2, 3 or 4");
  op.made = ReadVersion(in, made);
  op.seen = ReadVersion(in, seen);
}

template <class Reader>
void Read(Reader& in, ExposureOp& op) {
  const auto [source, form] = in.IdWithTag();
  in.Require(form <= 4, "a version has an unknown form");
  op = {source, ReadVersion(in, form)};
}

template <class Reader>
void Read(Reader& in, VersionUriOp& op) {
  op = {in.String(in.U32())};
}

template <class Reader>
void Read(Reader& in, VersionTagOp& op) {
  op = {ReadTag(in, in.U32())};
}

template <class Reader>
void Read(Reader& in, InvalidationOp& op) {
  const auto [record, flags] = in.IdWithTag();
  const uint32_t cascades = flags & 0xf;
  const uint32_t form = flags >> 4;
  in.Require(cascades <= 1, "an invalidation cascades (1) or doesn't (0)");
  in.Require(form <= 4 && form != 1, "an invalidation is of a version of form 0, 2, 3 or 4");
  op.record = record;
  op.cascades = cascades == 1;
  op.time = in.Integer();
  op.id = in.Uuid();
  op.version = ReadVersion(in, form);
  op.cause = in.String(in.U32());
}

template <class Reader>
void Read(Reader& in, InvalidationActionOp& op) {
  const auto [record, type] = in.IdWithTag();
  in.Require(type == 1 || type == 2, "an action has an unknown type");
  op.record = record;
  op.type = type;
  op.time = in.Integer();
  op.id = in.Uuid();
  const uint32_t name_bytes = in.U32();
  const uint32_t command_bytes = in.U32();
  const uint32_t params_bytes = in.U32();
  op.name = in.String(name_bytes);
  op.command = in.String(command_bytes);
  op.params = in.String(params_bytes);
}

}  // namespace braid
