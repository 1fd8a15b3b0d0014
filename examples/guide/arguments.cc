// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <cmath>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace bl = binderlite;

// Structs need nothing to be sent but to be aggregates.
struct Point {
  double x = 0;
  double y = 0;
};
enum class Color { kRed, kGreen };
struct Line {
  std::vector<Point> points;
  Color color = Color::kRed;
  std::optional<std::string> label = {};
};

struct Drawing {
  static constexpr bl::InterfaceName kName = "guide.Drawing";
  bl::Method<1, void(std::string_view name, Line line)> Draw;
  bl::Method<2, std::optional<Line>(std::string_view name)> Get;
  bl::Method<3, std::map<std::string, double>()> Lengths;
};

double LengthOf(const Line& line) {
  double length = 0;
  for (std::size_t i = 1; i < line.points.size(); ++i) {
    length += std::hypot(line.points[i].x - line.points[i - 1].x,
                         line.points[i].y - line.points[i - 1].y);
  }
  return length;
}

// What handlers share needs a lock: they are called by many threads at a time.
class DrawingService {
 public:
  void Draw(std::string_view name, Line line) {
    const absl::MutexLock lock(&mu_);
    lines_.insert_or_assign(std::string(name), std::move(line));
  }
  std::optional<Line> Get(std::string_view name) {
    const absl::MutexLock lock(&mu_);
    const auto it = lines_.find(std::string(name));
    return it == lines_.end() ? std::nullopt : std::optional(it->second);
  }
  std::map<std::string, double> Lengths() {
    const absl::MutexLock lock(&mu_);
    std::map<std::string, double> lengths;
    for (const auto& [name, line] : lines_) lengths[name] = LengthOf(line);
    return lengths;
  }

 private:
  absl::Mutex mu_;
  std::map<std::string, Line> lines_;
};

int main() {
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");

  const auto impl = std::make_shared<DrawingService>();
  const auto service = server.Create(Drawing{
      .Draw = std::bind_front(&DrawingService::Draw, impl),
      .Get = std::bind_front(&DrawingService::Get, impl),
      .Lengths = std::bind_front(&DrawingService::Lengths, impl),
  });
  if (!server.Publish("drawing", service).ok()) return 1;

  const auto drawing = client.Find<Drawing>("drawing").value();
  const Line triangle = {.points = {{0, 0}, {3, 0}, {3, 4}, {0, 0}},
                         .color = Color::kGreen,
                         .label = "three sides"};
  if (!drawing->Draw("triangle", triangle).ok()) return 1;
  if (!drawing->Draw("dot", Line{.points = {{1, 1}}}).ok()) return 1;

  const std::optional<Line> line = drawing->Get("triangle").value();
  std::cout << line->label.value() << '\n';
  std::cout << drawing->Get("circle").value().has_value() << '\n';
  for (const auto& [name, length] : drawing->Lengths().value()) {
    std::cout << name << ' ' << length << '\n';
  }
}

// Prints:
//   three sides
//   0
//   dot 0
//   triangle 12
