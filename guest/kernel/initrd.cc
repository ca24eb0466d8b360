#include "guest/kernel/initrd.h"

#include "guest/kernel/file.h"
#include "guest/kernel/print.h"
#include "guest/kernel/string.h"

namespace twofold::kernel::initrd {
namespace {

constexpr uint32_t kMaxNodes = 256;
constinit Node nodes[kMaxNodes]{};  // the root is the first
uint32_t node_count = 0;

// cpio(5), "New ASCII Format": fixed-width hexadecimal fields.
constexpr uint32_t kHeaderSize = 110;
constexpr uint32_t kModeField = 14;
constexpr uint32_t kSizeField = 54;
constexpr uint32_t kNameSizeField = 94;
constexpr uint32_t kModeTypeMask = 0170000;
constexpr uint32_t kModeDirectory = 0040000;
constexpr uint32_t kModeRegular = 0100000;

bool read_hex(const uint8_t* digits, uint32_t* value) {
  *value = 0;
  for (uint32_t i = 0; i < 8; ++i) {
    const uint8_t c = digits[i];
    uint32_t digit;
    if (c >= '0' && c <= '9') {
      digit = c - '0';
    } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
      digit = (c | 0x20) - 'a' + 10u;
    } else {
      return false;
    }
    *value = *value << 4 | digit;
  }
  return true;
}

Node* find_child(const Node& directory, const char* name, uint32_t length) {
  for (Node* child = directory.first_child; child != nullptr; child = child->next_sibling) {
    if (child->name_length == length && memcmp(child->name, name, length) == 0) return child;
  }
  return nullptr;
}

// Appends, so that a directory lists its entries in the archive's order. Null if there are too many nodes.
Node* add_child(Node& directory, const char* name, uint32_t length, guest_abi::FileType type) {
  if (node_count == kMaxNodes) return nullptr;
  Node** link = &directory.first_child;
  while (*link != nullptr) link = &(*link)->next_sibling;
  Node& node = nodes[node_count++];
  node = {name, length, type, node_count, nullptr, 0, nullptr, &directory, nullptr, nullptr};
  *link = &node;
  return &node;
}

// The node for an archive path, made if it is not there, its directories too. Null if that cannot be.
Node* make_path(const char* path, uint32_t length, guest_abi::FileType type) {
  Node* node = &nodes[0];
  for (uint32_t start = 0; start < length;) {
    uint32_t end = start;
    while (end < length && path[end] != '/') ++end;
    const uint32_t part = end - start;
    const bool last = end == length;
    if (part > 0 && !(part == 1 && path[start] == '.')) {
      if (node->type != guest_abi::kFileDirectory) return nullptr;
      Node* child = find_child(*node, path + start, part);
      if (child == nullptr) child = add_child(*node, path + start, part, last ? type : guest_abi::kFileDirectory);
      if (child == nullptr) return nullptr;
      node = child;
    }
    start = end + 1;
  }
  return node->type == type ? node : nullptr;
}

struct Entry {
  uint32_t mode;
  uint32_t size;
  const char* name;
  uint32_t name_length;
  const uint8_t* data;
  uint32_t next;  // offset
};

// Reads the header at `offset`; false if it is not one or says more than there is.
bool read_entry(const uint8_t* archive, uint32_t archive_size, uint32_t offset, Entry* entry) {
  if (archive_size - offset < kHeaderSize) return false;
  const uint8_t* const header = archive + offset;
  uint32_t name_size;
  if (memcmp(header, "070701", 6) != 0 || !read_hex(header + kModeField, &entry->mode) ||
      !read_hex(header + kSizeField, &entry->size) || !read_hex(header + kNameSizeField, &name_size)) {
    return false;
  }
  // In 64 bits: the fields are the archive's word only.
  const uint64_t name_start = offset + kHeaderSize;
  const uint64_t data_start = (name_start + name_size + 3) & ~3ull;
  const uint64_t data_end = data_start + entry->size;
  if (name_size == 0 || data_end > archive_size || header[kHeaderSize + name_size - 1] != '\0') return false;
  entry->name = reinterpret_cast<const char*>(header + kHeaderSize);
  entry->name_length = name_size - 1;
  entry->data = archive + data_start;
  entry->next = static_cast<uint32_t>(min<uint64_t>((data_end + 3) & ~3ull, archive_size));
  return true;
}

void add_entry(const Entry& entry) {
  const uint32_t kind = entry.mode & kModeTypeMask;
  if (kind != kModeDirectory && kind != kModeRegular) return;  // links and devices: /dev is built in
  const bool directory = kind == kModeDirectory;
  Node* const node =
      make_path(entry.name, entry.name_length, directory ? guest_abi::kFileDirectory : guest_abi::kFileRegular);
  if (node == nullptr) {
    kprintf("initrd: no room or no directory for %s\n", entry.name);
    return;
  }
  if (directory) return;
  node->data = entry.data;
  node->size = entry.size;
}

}  // namespace

void init(const uint8_t* archive, uint32_t size) {
  nodes[0] = {"", 0, guest_abi::kFileDirectory, 1, nullptr, 0, nullptr, &nodes[0], nullptr, nullptr};
  node_count = 1;
  for (uint32_t offset = 0; offset < size;) {
    Entry entry;
    if (!read_entry(archive, size, offset, &entry)) {
      kprintf("initrd: no newc cpio entry at offset %u of %u; what follows is ignored\n", offset, size);
      return;
    }
    if (equal_strings(entry.name, "TRAILER!!!")) return;
    add_entry(entry);
    offset = entry.next;
  }
}

void add_device(const Device& device) {
  Node* const directory = make_path("dev", 3, guest_abi::kFileDirectory);
  const uint32_t length = strlen(device.name);
  Node* node = nullptr;
  if (directory != nullptr && find_child(*directory, device.name, length) == nullptr) {
    node = add_child(*directory, device.name, length, guest_abi::kFileDevice);
  }
  if (node == nullptr) {
    kprintf("initrd: no room for /dev/%s, or the archive has one\n", device.name);
    return;
  }
  node->device = &device;
}

int32_t look_up(const char* path, const Node** result) {
  const Node* node = &nodes[0];
  if (*path == '\0') return -guest_abi::kENoent;
  while (*path != '\0') {
    const char* end = path;
    while (*end != '\0' && *end != '/') ++end;
    const auto length = static_cast<uint32_t>(end - path);
    // Also for what is empty or a dot: "file/" and "file/." name no file.
    if (node->type != guest_abi::kFileDirectory) return -guest_abi::kENotdir;
    if (length == 2 && path[0] == '.' && path[1] == '.') {
      node = node->parent;
    } else if (length > 0 && !(length == 1 && path[0] == '.')) {
      node = find_child(*node, path, length);
      if (node == nullptr) return -guest_abi::kENoent;
    }
    path = *end == '/' ? end + 1 : end;
    // A slash at the end asks for a directory.
    if (*end == '/' && *path == '\0' && node->type != guest_abi::kFileDirectory) return -guest_abi::kENotdir;
  }
  *result = node;
  return 0;
}

}  // namespace twofold::kernel::initrd
