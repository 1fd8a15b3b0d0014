// SPDX-License-Identifier: Apache-2.0
//
// IsJson: whether a text is one JSON value.

#ifndef BINDERLITE_TESTS_SUPPORT_JSON_READER_H_
#define BINDERLITE_TESTS_SUPPORT_JSON_READER_H_

#include <cctype>
#include <string_view>

namespace binderlite::testing {

// Whether `text` is one JSON value of the kinds that we write.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  bool ReadAll() { return Value() && text_.empty(); }

 private:
  bool Take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool Word(std::string_view word) {
    if (!text_.starts_with(word)) return false;
    text_.remove_prefix(word.size());
    return true;
  }
  bool Value() {
    if (text_.empty()) return false;
    if (text_.front() == '{') return Sequence('{', '}', /*keys=*/true);
    if (text_.front() == '[') return Sequence('[', ']', /*keys=*/false);
    if (text_.front() == '"') return String();
    return Word("true") || Word("false") || Number();
  }
  bool Sequence(char open, char close, bool keys) {
    if (!Take(open)) return false;
    if (Take(close)) return true;
    do {
      if (keys && !(String() && Take(':'))) return false;
      if (!Value()) return false;
    } while (Take(','));
    return Take(close);
  }
  bool String() {
    if (!Take('"')) return false;
    while (!text_.empty() && text_.front() != '"') {
      if (static_cast<unsigned char>(text_.front()) < 0x20) return false;
      if (Take('\\')) {
        if (Take('u')) {
          for (int i = 0; i < 4; ++i) {
            if (text_.empty() ||
                std::isxdigit(static_cast<unsigned char>(text_.front())) == 0) {
              return false;
            }
            text_.remove_prefix(1);
          }
          continue;
        }
        if (text_.empty() || (text_.front() != '"' && text_.front() != '\\')) {
          return false;
        }
      }
      text_.remove_prefix(1);
    }
    return Take('"');
  }
  bool Number() {
    (void)Take('-');
    if (Take('0')) return true;
    bool any = false;
    while (!text_.empty() && text_.front() >= '0' && text_.front() <= '9') {
      text_.remove_prefix(1);
      any = true;
    }
    return any;
  }

  std::string_view text_;
};

inline bool IsJson(std::string_view text) { return JsonReader(text).ReadAll(); }

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_JSON_READER_H_
