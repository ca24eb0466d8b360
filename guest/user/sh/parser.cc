#include "guest/user/sh/parser.h"

#include "guest/abi/abi.h"
#include "guest/user/sh/lexer.h"

namespace sh {
namespace {

class Parser {
 public:
  Parser(const char* text, Arena* arena) : lexer_(text, arena), arena_(arena), token_(lexer_.next()) {}

  ParseResult parse_list() {
    Chain* first = nullptr;
    Chain** link = &first;
    for (;;) {
      while (token_.kind == TokenKind::kSemicolon && error_ == nullptr) advance();
      if (token_.kind == TokenKind::kEnd || error_ != nullptr) break;
      Chain* chain = parse_chain();
      if (chain == nullptr) break;
      *link = chain;
      link = &chain->next;
      if (token_.kind == TokenKind::kBackground) {
        chain->background = true;
        advance();
      } else if (token_.kind != TokenKind::kSemicolon && token_.kind != TokenKind::kEnd) {
        fail("unexpected operator");
      }
    }
    if (error_ != nullptr) return ParseResult{nullptr, error_};
    return ParseResult{first, nullptr};
  }

 private:
  template <typename Node>
  Node* make() {
    auto* node = static_cast<Node*>(arena_->take(sizeof(Node)));
    if (node == nullptr) fail("out of memory");
    return node;
  }

  // The first error stands.
  void fail(const char* message) {
    if (error_ == nullptr) error_ = message;
  }

  void advance() { token_ = lexer_.next(); }

  Chain* parse_chain() {
    auto* chain = make<Chain>();
    if (chain == nullptr) return nullptr;
    Pipeline** link = &chain->pipelines;
    Condition condition = Condition::kAlways;
    for (;;) {
      Pipeline* pipeline = parse_pipeline();
      if (pipeline == nullptr) return nullptr;
      pipeline->condition = condition;
      *link = pipeline;
      link = &pipeline->next;
      if (token_.kind == TokenKind::kAnd) {
        condition = Condition::kIfPassed;
      } else if (token_.kind == TokenKind::kOr) {
        condition = Condition::kIfFailed;
      } else {
        return chain;
      }
      advance();
    }
  }

  Pipeline* parse_pipeline() {
    auto* pipeline = make<Pipeline>();
    if (pipeline == nullptr) return nullptr;
    Command** link = &pipeline->commands;
    for (;;) {
      Command* command = parse_command();
      if (command == nullptr) return nullptr;
      *link = command;
      link = &command->next;
      if (token_.kind != TokenKind::kPipe) return pipeline;
      advance();
    }
  }

  Command* parse_command() {
    auto* command = make<Command>();
    if (command == nullptr) return nullptr;
    Word** word_link = &command->words;
    Redirect** redirect_link = &command->redirects;
    for (;;) {
      if (token_.kind == TokenKind::kWord) {
        auto* word = make<Word>();
        if (word == nullptr) return nullptr;
        word->text = token_.text;
        *word_link = word;
        word_link = &word->next;
        ++command->word_count;
        advance();
      } else if (is_redirect(token_.kind)) {
        Redirect* redirect = parse_redirect();
        if (redirect == nullptr) return nullptr;
        *redirect_link = redirect;
        redirect_link = &redirect->next;
      } else {
        break;
      }
    }
    if (token_.kind == TokenKind::kError) fail(token_.text);
    if (command->words == nullptr) fail("a command is missing");
    return error_ == nullptr ? command : nullptr;
  }

  static bool is_redirect(TokenKind kind) {
    return kind == TokenKind::kReadFrom || kind == TokenKind::kWriteTo || kind == TokenKind::kSameAs;
  }

  Redirect* parse_redirect() {
    auto* redirect = make<Redirect>();
    if (redirect == nullptr) return nullptr;
    const Token start = token_;
    advance();
    redirect->fd = start.fd;
    redirect->other_fd = start.other_fd;
    redirect->flags = start.kind == TokenKind::kReadFrom ? guest_abi::kOpenRead : guest_abi::kOpenWrite;
    if (start.kind == TokenKind::kSameAs) return redirect;
    if (token_.kind != TokenKind::kWord) {
      fail(token_.kind == TokenKind::kError ? token_.text : "a file name is missing after < or >");
      return nullptr;
    }
    redirect->path = token_.text;
    advance();
    return redirect;
  }

  Lexer lexer_;
  Arena* arena_;
  Token token_;
  const char* error_ = nullptr;
};

}  // namespace

ParseResult parse(const char* text, Arena* arena) {
  return Parser(text, arena).parse_list();
}

}  // namespace sh
