#include "round.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace braid {
namespace {

constexpr uint32_t kHeaderBytes = 64;
constexpr uint32_t kMaxFrameBytes = 16u << 20;
constexpr uint32_t kMinOpBytes = 8;
constexpr uint32_t kMaxOpBytes = 8u << 20;
constexpr int64_t kMaxInteger = (int64_t{1} << 53) - 1;

struct Damage {
  uint32_t offset;
  const char* what;
};

// Whether text is UTF-8 as SQLite's other readers want it: no surrogates, nothing longer than it need be.
bool IsUtf8(const uint8_t* text, size_t bytes) {
  size_t at = 0;
  while (at < bytes) {
    // Most text is ASCII, eight bytes of which are looked at as one.
    uint64_t eight;
    while (at + sizeof eight <= bytes) {
      std::memcpy(&eight, text + at, sizeof eight);
      if ((eight & 0x8080'8080'8080'8080) != 0) break;
      at += sizeof eight;
    }
    if (at == bytes) return true;
    const uint8_t lead = text[at++];
    if (lead < 0x80) continue;
    const size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || more > bytes - at) return false;
    const uint8_t second = text[at];
    const uint8_t least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const uint8_t greatest = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (second < least || second > greatest) return false;
    for (size_t i = 1; i < more; ++i) {
      if ((text[at + i] & 0xc0) != 0x80) return false;
    }
    at += more;
  }
  return true;
}

// Reads one header or op of bytes that anybody may have written. Offsets are those of the round.
class CheckingReader {
 public:
  CheckingReader(const uint8_t* round, uint32_t begin, uint32_t end)
      : round_(round), field_(begin), at_(begin), end_(end) {}

  uint32_t U32() { return LoadU32(Take(4)); }

  int64_t Integer() {
    const auto value = static_cast<int64_t>(LoadU64(Take(8)));
    Require(value >= -kMaxInteger && value <= kMaxInteger, "a time or step is beyond 53 bits");
    return value;
  }

  TaggedId IdWithTag() {
    const TaggedId id = TrustingReader(Take(8)).IdWithTag();
    Require(id.id >= 1 && id.id <= kMaxInteger, "an id is zero or beyond 53 bits");
    return id;
  }

  int64_t Id() {
    const auto [id, tag] = IdWithTag();
    Require(tag == 0, "an id has an upper byte that means nothing here");
    return id;
  }

  const uint8_t* Uuid() { return Take(16); }

  Text String(uint32_t bytes) {
    const uint8_t* text = Take(bytes);
    Require(IsUtf8(text, bytes), "a text is not UTF-8");
    return {reinterpret_cast<const char*>(text), bytes};
  }

  void Zero(uint32_t bytes, const char* what) {
    const uint8_t* field = Take(bytes);
    Require(std::all_of(field, field + bytes, [](uint8_t byte) { return byte == 0; }), what);
  }

  void End() {
    const uint32_t rest = end_ - at_;
    if (rest == 0) return;
    field_ = at_;
    Require(rest < 4, "an op is longer than its fields");
    Zero(rest, "padding is not zero");
  }

  // Speaks of the field that was read last.
  void Require(bool right, const char* what) const {
    if (!right) throw Damage{field_, what};
  }

 private:
  const uint8_t* Take(uint32_t bytes) {
    field_ = at_;
    Require(bytes <= end_ - at_, "a field runs past the end of its op");
    at_ += bytes;
    return round_ + field_;
  }

  const uint8_t* round_;
  uint32_t field_;
  uint32_t at_;
  uint32_t end_;
};

// A radix sort, for it is stable and takes the same two to four passes whether the ids of many ranks
// interleave or those of old models stand between those of new records, where merging ascending runs would
// come down to runs of two.
void PutInOrder(std::vector<KeyedRow>& rows, std::vector<KeyedRow>& scratch) {
  constexpr unsigned kDigitBits = 11;
  const auto by_id = [](const KeyedRow& left, const KeyedRow& right) { return left.id < right.id; };
  if (std::is_sorted(rows.begin(), rows.end(), by_id)) return;
  const auto [least, greatest] = std::minmax_element(rows.begin(), rows.end(), by_id);
  const uint64_t base = least->id;
  const uint64_t span = greatest->id - base;
  scratch.resize(rows.size());
  for (unsigned shift = 0; shift < 64 && span >> shift != 0; shift += kDigitBits) {
    const auto digit = [&](const KeyedRow& row) {
      return (static_cast<uint64_t>(row.id) - base) >> shift & ((1u << kDigitBits) - 1);
    };
    std::array<uint32_t, 1u << kDigitBits> places{};
    for (const KeyedRow& row : rows) ++places[digit(row)];
    uint32_t place = 0;
    for (uint32_t& count : places) place += std::exchange(count, place);
    for (const KeyedRow& row : rows) scratch[places[digit(row)]++] = row;
    rows.swap(scratch);
  }
}

bool SameVersion(const Version& left, const Version& right) {
  return left.form == right.form && left.attempt == right.attempt && left.step == right.step &&
         left.rank == right.rank && left.ordinal == right.ordinal &&
         (left.run == nullptr || std::memcmp(left.run, right.run, 16) == 0);
}

class Decoder {
 public:
  Decoder(Round& round, const std::vector<IdBlock>* blocks)
      : round_(round), size_(static_cast<uint32_t>(round.size)), blocks_(blocks) {}

  uint32_t FramesBegun() const { return frames_begun_; }

  void Decode() {
    for (uint32_t at = 0; at < size_;) at = DecodeFrame(at);
    for (auto* rows :
         {&round_.records, &round_.uris, &round_.tags, &round_.derivations, &round_.derivation_versions}) {
      PutInOrder(*rows, round_.scratch);
    }
  }

 private:
  // Both return where the next one begins.
  uint32_t DecodeFrame(uint32_t begin) {
    ++frames_begun_;
    if (size_ - begin < kHeaderBytes) throw Damage{begin, "the round ends within a frame's header"};
    CheckingReader in(round_.bytes.get(), begin, begin + kHeaderBytes);
    const Text magic = in.String(4);
    in.Require(std::memcmp(magic.data, "BRFR", 4) == 0, "no frame begins here");
    const uint32_t version_and_flags = in.U32();
    in.Require((version_and_flags & 0xffff) == 1, "a frame has an unknown version");
    in.Require(version_and_flags >> 16 == 1, "a frame is not sealed, or has unknown flags");
    Frame frame;
    frame.run = ToHex(in.Uuid());
    frame.attempt = in.U32();
    in.Require(frame.attempt >= 1, "an attempt is counted from 1");
    frame.rank = in.U32();
    frame.seq = in.U32();
    in.Require(frame.seq >= 1, "a sequence number is counted from 1");
    frame.bytes = in.U32();
    in.Require(frame.bytes % 4 == 0, "a frame's length is not a multiple of 4");
    in.Require(frame.bytes <= kMaxFrameBytes - kHeaderBytes, "a frame is longer than 16 MiB");
    in.Require(frame.bytes <= size_ - begin - kHeaderBytes, "the round ends within a frame");
    frame.ops = in.U32();
    frame.records = in.U32();
    in.U32();  // The CRC was checked by whoever took the frame in.
    in.U32();  // The check is for whoever finds a frame that is open, or damaged.
    in.Zero(8, "a frame's header does not end in zeros");

    const size_t ops_before = round_.ops;
    const size_t records_before = round_.records.size();
    frame_ = static_cast<uint32_t>(round_.frames.size());
    if (blocks_ != nullptr) {
      if (frame_ == blocks_->size()) throw Damage{begin, "more frames than blocks of ids"};
      block_ = (*blocks_)[frame_];
      next_id_ = block_.first;
    }
    update_ = kNoUpdate;
    last_model_ = 0;
    const uint32_t end = begin + kHeaderBytes + frame.bytes;
    for (uint32_t at = begin + kHeaderBytes; at < end;) at = DecodeOp(at, end);
    if (round_.ops - ops_before != frame.ops) throw Damage{begin + 40, "a frame holds another number of ops"};
    if (round_.records.size() - records_before != frame.records) {
      throw Damage{begin + 44, "a frame holds another number of records"};
    }
    round_.frames.push_back(frame);
    return end;
  }

  uint32_t DecodeOp(uint32_t begin, uint32_t end) {
    const uint32_t word = LoadU32(&round_.bytes[begin]);
    const uint32_t length = word & 0xff'ffff;
    if (length < kMinOpBytes || length > kMaxOpBytes || length % 4 != 0) {
      throw Damage{begin, "an op's length is not a multiple of 4 from 8 bytes to 8 MiB"};
    }
    if (length > end - begin) throw Damage{begin, "an op runs past the end of its frame"};
    CheckingReader in(round_.bytes.get(), begin + 4, begin + length);
    switch (static_cast<OpType>(word >> 24)) {
      case OpType::kRecord:
        round_.records.push_back({Take<RecordOp>(in).id, {begin, frame_}});
        CheckId(round_.records.back().id, begin);
        break;
      case OpType::kUri:
        round_.uris.push_back({Take<UriOp>(in).record, {begin, frame_}});
        break;
      case OpType::kTag:
        round_.tags.push_back({Take<TagOp>(in).record, {begin, frame_}});
        break;
      case OpType::kDerivation: {
        const auto op = Take<DerivationOp>(in);
        round_.derivations.push_back({op.derived, {begin, frame_}});
        if (op.version.Known()) round_.derivation_versions.push_back({op.derived, {begin, frame_}});
        AddMention(op.source, op.version, {begin, frame_, false});
        break;
      }
      case OpType::kUpdate: {
        const auto op = Take<UpdateOp>(in);
        update_ = static_cast<uint32_t>(round_.updates.size());
        model_ = op.model;
        round_.updates.push_back({begin, frame_});
        // What was seen goes first: it is the older, and mostly what the update before has made.
        AddMention(op.model, op.seen, {begin, frame_, true});
        AddMention(op.model, op.made, {begin, frame_, false});
        break;
      }
      case OpType::kExposure: {
        const auto op = Take<ExposureOp>(in);
        round_.exposures.push_back({begin, OfUpdate(begin)});
        round_.derivations.push_back({model_, {begin, update_}});
        AddMention(op.source, op.version, {begin, frame_, false});
        break;
      }
      case OpType::kVersionUri:
        Take<VersionUriOp>(in);
        round_.version_uris.push_back({begin, OfUpdate(begin)});
        break;
      case OpType::kVersionTag:
        Take<VersionTagOp>(in);
        round_.version_tags.push_back({begin, OfUpdate(begin)});
        break;
      case OpType::kInvalidation: {
        const auto op = Take<InvalidationOp>(in);
        round_.invalidations.push_back({begin, frame_});
        AddMention(op.record, op.version, {begin, frame_, false});
        break;
      }
      case OpType::kInvalidationAction:
        Take<InvalidationActionOp>(in);
        round_.invalidation_actions.push_back({begin, frame_});
        break;
      default:
        throw Damage{begin, "an op has an unknown type"};
    }
    ++round_.ops;
    return begin + length;
  }

  template <class Op>
  static Op Take(CheckingReader& in) {
    Op op;
    Read(in, op);
    in.End();
    return op;
  }

  // What names a record may be of anybody; what makes one would take the place of another rank's, or another
  // run's.
  void CheckId(int64_t id, uint32_t op) {
    if (blocks_ == nullptr) return;
    if (id != next_id_ && (id < block_.first || (id - block_.first) % block_.step != 0)) id = INT64_MAX;
    if (id > block_.last) throw Damage{op, "a record's id is not one that its rank gives out"};
    next_id_ = id + block_.step;
  }

  uint32_t OfUpdate(uint32_t op) const {
    if (update_ == kNoUpdate) throw Damage{op, "no update comes before this op in its frame"};
    return update_;
  }

  void AddMention(int64_t model, const Version& version, Mention mention) {
    if (!version.Known() || (model == last_model_ && SameVersion(version, last_version_))) return;
    last_model_ = model;
    last_version_ = version;
    round_.versions.push_back(mention);
  }

  static constexpr uint32_t kNoUpdate = UINT32_MAX;

  Round& round_;
  const uint32_t size_;
  const std::vector<IdBlock>* const blocks_;
  uint32_t frames_begun_ = 0;

  // Of the frame that is being decoded.
  uint32_t frame_ = 0;
  uint32_t update_ = kNoUpdate;
  IdBlock block_{};
  int64_t next_id_ = 0;  // as a rank gives them out
  int64_t model_ = 0;
  int64_t last_model_ = 0;
  Version last_version_;
};

}  // namespace

Hex ToHex(const uint8_t* uuid) {
  constexpr char kDigits[] = "0123456789abcdef";
  Hex hex;
  for (size_t i = 0; i < 16; ++i) {
    hex[2 * i] = kDigits[uuid[i] >> 4];
    hex[2 * i + 1] = kDigits[uuid[i] & 0xf];
  }
  return hex;
}

void Round::Clear() {
  size = 0;
  ops = 0;
  frames.clear();
  for (auto* rows : {&records, &uris, &tags, &derivations, &derivation_versions}) rows->clear();
  for (auto* rows :
       {&updates, &exposures, &version_uris, &version_tags, &invalidations, &invalidation_actions}) {
    rows->clear();
  }
  versions.clear();
}

void Round::Take(const void* from, size_t count) {
  Clear();
  if (count > kMaxRoundBytes) throw DamagedRound("a round is longer than 512 MiB");
  if (capacity < count) {
    capacity = 0;
    bytes.reset(new uint8_t[count]);  // not make_unique, which would zero it first
    capacity = count;
  }
  if (count > 0) std::memcpy(bytes.get(), from, count);
  size = count;
}

void DecodeRound(Round& round, const std::vector<IdBlock>* blocks) {
  Decoder decoder(round, blocks);
  try {
    decoder.Decode();
  } catch (const Damage& damage) {
    round.Clear();
    throw DamagedRound("frame " + std::to_string(decoder.FramesBegun()) + ", byte " +
                       std::to_string(damage.offset) + ": " + damage.what);
  } catch (...) {
    round.Clear();
    throw;
  }
}

}  // namespace braid
