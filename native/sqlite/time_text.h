#pragma once

#include <cstddef>
#include <cstdint>

namespace braid {

// Writes microseconds since 1970 as `YYYY-MM-DD HH:MM:SS.ffffff`, UTC. Times that come one after another
// mostly share their second, else their day, and only what differs from the time before is written again.
class TimeText {
 public:
  static constexpr int kBytes = 26;

  // Valid until the next call.
  const char* Format(int64_t microseconds) {
    const int64_t second = FloorDivide(microseconds, 1'000'000);
    if (second != second_) {
      const int64_t day = FloorDivide(second, 86'400);
      if (day != day_) WriteDay(day);
      const auto of_day = static_cast<uint32_t>(second - day * 86'400);
      Write(11, 2, of_day / 3600);
      Write(14, 2, of_day / 60 % 60);
      Write(17, 2, of_day % 60);
      day_ = day;
      second_ = second;
    }
    Write(20, 6, static_cast<uint32_t>(microseconds - second * 1'000'000));
    return text_;
  }

 private:
  static int64_t FloorDivide(int64_t value, int64_t by) { return value / by - (value % by < 0 ? 1 : 0); }

  // The proleptic Gregorian calendar, in years that begin in March so that a leap day is the last of its
  // year.
  void WriteDay(int64_t day) {
    constexpr int64_t kDaysBefore1970 = 719'468;  // since 1 March of the year 0
    constexpr int64_t kDaysOf400Years = 146'097;
    day += kDaysBefore1970;
    const int64_t era = FloorDivide(day, kDaysOf400Years);
    const auto of_era = static_cast<uint32_t>(day - era * kDaysOf400Years);
    const uint32_t year = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
    const uint32_t of_year = of_era - (365 * year + year / 4 - year / 100);
    const uint32_t month = (5 * of_year + 2) / 153;  // 0: March
    const bool next_year = month >= 10;
    Write(0, 4, static_cast<uint32_t>(year + era * 400) + (next_year ? 1 : 0));
    Write(5, 2, next_year ? month - 9 : month + 3);
    Write(8, 2, of_year - (153 * month + 2) / 5 + 1);
  }

  void Write(size_t at, size_t digits, uint32_t value) {
    for (size_t i = at + digits; i-- > at; value /= 10) text_[i] = static_cast<char>('0' + value % 10);
  }

  int64_t second_ = INT64_MIN;
  int64_t day_ = INT64_MIN;
  char text_[kBytes + 1] = "0000-00-00 00:00:00.000000";
};

}  // namespace braid
