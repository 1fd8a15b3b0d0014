// SPDX-License-Identifier: Apache-2.0
//
// The words of the language, and a line taken apart.

#include "language.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace binderlite::conformance {

void Die(const std::string& why, std::string_view what) {
  std::fprintf(stderr, "conformance: %s: %.*s\n", why.c_str(),
               static_cast<int>(what.size()), what.data());
  std::fflush(stdout);
  std::abort();
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (at <= text.size()) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    if (separator != ' ' || end > at)
      parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

bool IsNumber(const std::string& text) {
  char* end = nullptr;
  std::strtoull(text.c_str(), &end, 0);
  return !text.empty() && *end == '\0';
}

std::uint64_t Number(const std::string& text) {
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(text.c_str(), &end, 0);
  if (text.empty() || *end != '\0') Die("not a number", text);
  return value;
}

std::uint64_t Arg(const std::vector<std::string>& args, std::size_t index,
                  std::uint64_t otherwise) {
  return index < args.size() ? Number(args[index]) : otherwise;
}

std::string Hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof(text), value < 10 ? "%" PRIu64 : "0x%" PRIx64,
                value);
  return text;
}

std::string Bytes(const std::byte* data, std::size_t size) {
  char text[40];
  if (size > 16) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (std::size_t i = 0; i < size; ++i) {
      hash = (hash ^ static_cast<std::uint64_t>(data[i])) * 0x100000001b3;
    }
    std::snprintf(text, sizeof(text), "%zu#%08x", size,
                  static_cast<unsigned>(hash ^ (hash >> 32)));
    return text;
  }
  std::string all = "x";
  for (std::size_t i = 0; i < size; ++i) {
    std::snprintf(text, sizeof(text), "%02x", static_cast<unsigned>(data[i]));
    all += text;
  }
  return all;
}

void AppendPattern(std::vector<std::byte>& bytes, std::size_t count,
                   std::uint32_t salt) {
  for (std::size_t i = 0; i < count; ++i) {
    bytes.push_back(static_cast<std::byte>((salt * 31 + i * 7 + 1) & 0xff));
  }
}

bool IsSg(const Command& command) {
  for (const std::string& item : command.payload) {
    if (item == "plain") return false;
  }
  for (const std::string& item : command.payload) {
    if (item == "sg" || item.rfind("ptr:", 0) == 0 ||
        item.rfind("bs=", 0) == 0) {
      return true;
    }
  }
  return false;
}

std::optional<Bc> CodeOf(const Command& command) {
  for (const Word& word : kWords) {
    if (command.name != word.name) continue;
    if (word.code == Bc::BC_TRANSACTION && IsSg(command)) {
      return Bc::BC_TRANSACTION_SG;
    }
    if (word.code == Bc::BC_REPLY && IsSg(command)) return Bc::BC_REPLY_SG;
    return word.code;
  }
  return std::nullopt;
}

bool IsOption(const std::string& token) {
  if (token.find('=') != std::string::npos) return true;
  return token == "wbad" || token == "rbad" || token == "argbad" ||
         token == "argnull" || token == "argro" || token == "sig";
}

bool Has(const Step& step, const char* flag) {
  return std::find(step.args.begin(), step.args.end(), flag) != step.args.end();
}

std::uint64_t Option(const Step& step, const char* name,
                     std::uint64_t otherwise) {
  const std::string prefix = std::string(name) + "=";
  for (const std::string& arg : step.args) {
    if (arg.rfind(prefix, 0) == 0) return Number(arg.substr(prefix.size()));
  }
  return otherwise;
}

const char* ObjectName(ObjectType type) {
  switch (type) {
    case ObjectType::kBinder:
      return "bin";
    case ObjectType::kWeakBinder:
      return "wbin";
    case ObjectType::kHandle:
      return "hnd";
    case ObjectType::kWeakHandle:
      return "whnd";
    case ObjectType::kFd:
      return "fd";
    case ObjectType::kFdArray:
      return "fda";
    case ObjectType::kPtr:
      return "ptr";
  }
  return "?";
}

std::string ErrnoName(int error) {
  switch (error) {
    case 0:
      return "0";
    case EPERM:
      return "EPERM";
    case ENOENT:
      return "ENOENT";
    case ESRCH:
      return "ESRCH";
    case EINTR:
      return "EINTR";
    case EBADF:
      return "EBADF";
    case EAGAIN:
      return "EAGAIN";
    case ENOMEM:
      return "ENOMEM";
    case EACCES:
      return "EACCES";
    case EFAULT:
      return "EFAULT";
    case EBUSY:
      return "EBUSY";
    case EINVAL:
      return "EINVAL";
    case EMFILE:
      return "EMFILE";
    case ENOTTY:
      return "ENOTTY";
    case ENOSPC:
      return "ENOSPC";
    case EPROTO:
      return "EPROTO";
    case ESPIPE:
      return "ESPIPE";
    default:
      return "E" + std::to_string(error);
  }
}

std::string Result::Names() const {
  std::string names;
  for (const Return& r : returns) {
    if (!names.empty()) names += ' ';
    names += ToString(r.br);
  }
  return names;
}

std::optional<Step> ParseStep(std::string_view line) {
  const std::size_t comment = line.find('#');
  const std::string_view code = line.substr(0, comment);
  std::vector<std::string> tokens = Split(code, ' ');
  if (tokens.empty()) return std::nullopt;
  if (tokens.size() < 2) Die("a line without a verb", line);
  Step step;
  for (const std::string& token : tokens) {
    if (!step.text.empty()) step.text += ' ';
    step.text += token;
  }
  // A, A.1 or A.1@2
  const std::string& who = tokens[0];
  step.process = who[0];
  const std::size_t at = who.find('@');
  if (at != std::string::npos) {
    step.slot = static_cast<int>(Number(who.substr(at + 1)));
  }
  if (who.size() > 2 && who[1] == '.') {
    step.thread = static_cast<int>(
        Number(who.substr(2, at == std::string::npos ? at : at - 2)));
  }
  if (step.thread >= kMaxThreads) Die("too many threads", line);
  step.verb = tokens[1];
  for (std::size_t i = 2; i < tokens.size(); ++i) {
    if (step.verb != "wr" || IsOption(tokens[i])) {
      step.args.push_back(tokens[i]);
      continue;
    }
    if (tokens[i] == "[") {
      if (step.commands.empty()) Die("a payload without a command", line);
      while (++i < tokens.size() && tokens[i] != "]") {
        step.commands.back().payload.push_back(tokens[i]);
      }
      continue;
    }
    std::vector<std::string> parts = Split(tokens[i], ':');
    Command command;
    command.name = parts[0];
    command.args.assign(parts.begin() + 1, parts.end());
    if (!CodeOf(command).has_value() && command.name != "word" &&
        command.name != "cut") {
      Die("unknown command", tokens[i]);
    }
    step.commands.push_back(std::move(command));
  }
  return step;
}

}  // namespace binderlite::conformance
