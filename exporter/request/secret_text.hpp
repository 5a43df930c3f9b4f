// What a client shows to be let in by, and a key of ours, while they are held: nothing of it stays behind in freed
// memory.
//
// Threads: as a std::string. Failure: std::bad_alloc alone. Lifetime: overwritten at its end.
#pragma once

#include <openssl/crypto.h>

#include <memory>
#include <string>
#include <string_view>

namespace shmetrics::exporter {

/// Reserve before it grows: what it grows out of is freed as it is.
class SecretText : public std::string {
 public:
  SecretText() = default;
  SecretText(const char* text) : std::string(text) {}
  SecretText(std::string_view text) : std::string(text) {}
  SecretText(const SecretText&) = default;
  /// Short text is within the object, so moving it copies it; the end of the other overwrites that.
  SecretText(SecretText&&) noexcept = default;
  SecretText& operator=(const SecretText&) = default;
  SecretText& operator=(SecretText&&) noexcept = default;
  ~SecretText() {
    resize(capacity());
    OPENSSL_cleanse(data(), size());
  }
};

/// For containers of what comes over the wire.
template <typename T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <typename U>
  WipingAllocator(const WipingAllocator<U>&) noexcept {}
  T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* pointer, std::size_t count) noexcept {
    OPENSSL_cleanse(pointer, count * sizeof(T));
    std::allocator<T>().deallocate(pointer, count);
  }
  friend bool operator==(const WipingAllocator&, const WipingAllocator&) { return true; }
};

}  // namespace shmetrics::exporter
