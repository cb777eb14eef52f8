// A round, decoded: an index over its bytes, checked once so that nobody needs to check again. Knows neither
// SQLite nor Node, so that it can be fuzzed alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "ops.h"

namespace braid {

// Offsets into a round are 32 bits; SQLite in better-sqlite3 takes no larger value anyway.
constexpr size_t kMaxRoundBytes = size_t{512} << 20;

// The message names the frame (the first is 1), the byte of the round, and what is wrong there.
class DamagedRound : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

using Hex = std::array<char, 32>;

Hex ToHex(const uint8_t* uuid);

struct Frame {
  Hex run;
  uint32_t attempt;
  uint32_t rank;
  uint32_t seq;
  uint32_t bytes;
  uint32_t ops;
  uint32_t records;
};

// Where an op is, and the number of the frame or of the update that it belongs to.
struct Row {
  uint32_t op;
  uint32_t owner;
};

// A row, and the id that it is put in order by.
struct KeyedRow {
  int64_t id;
  Row row;
};

// Where a version is spoken of.
struct Mention {
  uint32_t op;
  uint32_t frame;
  bool seen;  // the version that the update had seen, not the one it made
};

// Its memory is kept for the next round, which mostly is about as large.
struct Round {
  std::unique_ptr<uint8_t[]> bytes;
  size_t capacity = 0;  // of bytes
  size_t size = 0;
  size_t ops = 0;

  std::vector<Frame> frames;

  // By the record's id; among equals, and in the lists below, in the order of the round.
  std::vector<KeyedRow> records;
  std::vector<KeyedRow> uris;
  std::vector<KeyedRow> tags;

  // By the derived record's id. An exposure is also a derivation: of its update's model.
  std::vector<KeyedRow> derivations;          // owner: the frame of a derivation, the update of an exposure
  std::vector<KeyedRow> derivation_versions;  // owner: frame

  std::vector<Mention> versions;
  std::vector<Row> updates;               // owner: frame
  std::vector<Row> exposures;             // owner: update
  std::vector<Row> version_uris;          // owner: update
  std::vector<Row> version_tags;          // owner: update
  std::vector<Row> invalidations;         // owner: frame
  std::vector<Row> invalidation_actions;  // owner: frame

  std::vector<KeyedRow> scratch;  // for putting one of these in order

  // Forgets everything but its memory.
  void Clear();

  // Takes a copy of bytes that are to be decoded. Throws DamagedRound if they are too many, or bad_alloc.
  void Take(const void* from, size_t count);

  OpType TypeAt(uint32_t offset) const { return static_cast<OpType>(bytes[offset + 3]); }

  template <class Op>
  Op At(uint32_t offset) const {
    Op op;
    TrustingReader in(&bytes[offset + 4]);
    Read(in, op);
    return op;
  }
};

// The ids that a frame's rank gives out: the first, and every step-th after it, through the last.
struct IdBlock {
  int64_t first;
  int64_t last;
  int64_t step;
};

// Decodes what a round has taken, and checks everything but the CRCs. Takes the ids that each frame's records
// may have; or any, without. Throws DamagedRound, or what a failed allocation throws, and then leaves an
// empty round.
void DecodeRound(Round& round, const std::vector<IdBlock>* blocks);

}  // namespace braid
