// The examples of docs/GRPC.md, done as grpcurl does them: what a message is comes from the
// server's reflection, what is sent is the example's JSON. Nothing here knows our .proto files.
#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/descriptor_database.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/unknown_field_set.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/strings.h"
#include "integration_tests/child_process.h"
#include "integration_tests/live_bookie.h"

namespace stele::integration {
namespace {

namespace pb = google::protobuf;

constexpr char kToken[] = "a token of some length";
constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

// One line of the page: grpcurl -plaintext [-H ...] [-d ...] localhost:PORT [list | METHOD]
struct Example {
  std::string line;
  bool has_token = false;
  std::string json = "{}";
  std::string port;
  std::string what;
};

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<Example> ReadExamples() {
  const std::string page = absl::StrReplaceAll(ReadText("docs/GRPC.md"), {{"\\\n", " "}});
  std::vector<Example> examples;
  for (size_t at = 0; (at = page.find("    grpcurl ", at)) != std::string::npos;) {
    const size_t end = page.find('\n', at);
    Example example{.line = page.substr(at, end - at)};
    const std::string& line = example.line;
    example.has_token = line.find("-H \"authorization: Bearer $(cat token)\"") != std::string::npos;
    if (const size_t json = line.find("-d '"); json != std::string::npos) {
      example.json = line.substr(json + 4, line.find('\'', json + 4) - json - 4);
    }
    const size_t host = line.find("localhost:");
    example.port = line.substr(host + 10, 4);
    example.what = line.substr(line.rfind(' ') + 1);
    examples.push_back(example);
    at = end;
  }
  return examples;
}

// A call by its name and bytes: sends one message, and gives all replies, at most `count_max`.
class RawCall {
 public:
  RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
          const std::string& message, bool has_token, size_t count_max) {
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    if (has_token) context.AddMetadata("authorization", StrCat("Bearer ", kToken));
    const auto call = stub.PrepareCall(&context, method, &queue_);
    call->StartCall(this);
    bool goes_on = Await();
    const grpc::Slice slice(message);
    if (goes_on) {
      call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), this);
      goes_on = Await();
    }
    while (goes_on && replies_.size() < count_max) {
      grpc::ByteBuffer reply;
      call->Read(&reply, this);
      goes_on = Await();
      if (goes_on) replies_.push_back(TextOf(reply));
    }
    if (goes_on) context.TryCancel();
    call->Finish(&status_, this);
    Await();
  }

  const grpc::Status& status() const { return status_; }
  const std::vector<std::string>& replies() const { return replies_; }

 private:
  bool Await() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }
  static std::string TextOf(const grpc::ByteBuffer& bytes) {
    std::vector<grpc::Slice> slices;
    EXPECT_TRUE(bytes.Dump(&slices).ok());
    std::string text;
    for (const grpc::Slice& slice : slices) {
      text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    return text;
  }

  grpc::CompletionQueue queue_;
  std::vector<std::string> replies_;
  grpc::Status status_;
};

// The texts at `path` of field numbers in a message that is not known.
std::vector<std::string> TextsAt(const std::string& message, std::vector<int> path) {
  pb::UnknownFieldSet fields;
  EXPECT_TRUE(fields.ParseFromString(message));
  const int number = path.front();
  path.erase(path.begin());
  std::vector<std::string> texts;
  for (int i = 0; i < fields.field_count(); ++i) {
    const pb::UnknownField& field = fields.field(i);
    if (field.number() != number || field.type() != pb::UnknownField::TYPE_LENGTH_DELIMITED) {
      continue;
    }
    if (path.empty()) {
      texts.push_back(field.length_delimited());
    } else {
      for (std::string& text : TextsAt(field.length_delimited(), path)) texts.push_back(text);
    }
  }
  return texts;
}

// What a server says about itself: the field numbers are those of grpc.reflection.v1alpha.
std::string AskReflection(const std::shared_ptr<grpc::Channel>& channel, int number,
                          const std::string& value) {
  pb::UnknownFieldSet question;
  question.AddLengthDelimited(number)->assign(value);
  std::string bytes;
  EXPECT_TRUE(question.SerializeToString(&bytes));
  const RawCall call(channel, kReflection, bytes, /*has_token=*/false, 1);
  EXPECT_EQ(call.replies().size(), 1u) << call.status().error_message();
  return call.replies().empty() ? "" : call.replies().front();
}

std::vector<std::string> Services(const std::shared_ptr<grpc::Channel>& channel) {
  return TextsAt(AskReflection(channel, 7, ""), {6, 1, 1});
}

// The replies to "package.Service/Method", as JSON.
std::vector<std::string> Call(const std::shared_ptr<grpc::Channel>& channel, const Example& example,
                              const std::string& json, size_t count_max) {
  const size_t slash = example.what.find('/');
  pb::SimpleDescriptorDatabase files;
  for (const std::string& file :
       TextsAt(AskReflection(channel, 4, example.what.substr(0, slash)), {4, 1})) {
    pb::FileDescriptorProto parsed;
    EXPECT_TRUE(parsed.ParseFromString(file));
    files.Add(parsed);
  }
  const pb::DescriptorPool pool(&files);
  const pb::MethodDescriptor* const method =
      pool.FindMethodByName(absl::StrReplaceAll(example.what, {{"/", "."}}));
  if (method == nullptr) {
    ADD_FAILURE() << "reflection does not know " << example.what;
    return {};
  }
  pb::DynamicMessageFactory factory;
  const std::unique_ptr<pb::Message> request(factory.GetPrototype(method->input_type())->New());
  const auto understood = pb::util::JsonStringToMessage(json, request.get());
  EXPECT_TRUE(understood.ok()) << example.line << ": " << understood.ToString();
  const RawCall call(channel, "/" + example.what, request->SerializeAsString(), example.has_token,
                     count_max);
  EXPECT_FALSE(call.replies().empty()) << example.line << ": " << call.status().error_message();
  std::vector<std::string> texts;
  for (const std::string& bytes : call.replies()) {
    const std::unique_ptr<pb::Message> reply(factory.GetPrototype(method->output_type())->New());
    EXPECT_TRUE(reply->ParseFromString(bytes));
    texts.emplace_back();
    EXPECT_TRUE(pb::util::MessageToJsonString(*reply, &texts.back()).ok());
  }
  return texts;
}

std::shared_ptr<grpc::Channel> Connect(const std::string& at) {
  return grpc::CreateChannel(at, grpc::InsecureChannelCredentials());
}

std::string TokenFile() {
  const std::string path = StrCat(std::getenv("TEST_TMPDIR"), "/token");
  std::ofstream(path) << kToken << "\n";
  chmod(path.c_str(), 0600);
  return path;
}

std::string AwaitText(const std::string& path, const std::string& wanted) {
  for (const absl::Time give_up = absl::Now() + absl::Seconds(60); absl::Now() < give_up;) {
    const std::string text = ReadText(path);
    if (const size_t found = text.find(wanted); found != std::string::npos) {
      return text.substr(found + wanted.size());
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  ADD_FAILURE() << path << " does not say: " << wanted;
  return "0";
}

TEST(GrpcExamplesTest, EachOfThePageDoesWhatItSays) {
  LiveBookie bookie({.settings = {"stele.grpcEnabled=true", "stele.grpcPort=0",
                                  StrCat("stele.grpcTokenFile=", TokenFile())}});
  const std::string log = bookie.directory() + "/autorecovery";
  const auto autorecovery =
      ChildProcess::Start({.argv = {SteleProgram(), "autorecovery", "--metadata",
                                    StrCat("sqlite://", bookie.directory(), "/metadata.db"),
                                    "--grpc", "127.0.0.1:0", "--grpc-token-file", TokenFile()},
                           .output_path = log});
  AwaitText(log, "autorecovery runs");
  const int port = std::stoi(AwaitText(log, "gRPC port host=127.0.0.1 port="));
  const auto of_bookie = Connect(StrCat("127.0.0.1:", bookie.grpc_endpoint().port));
  const auto of_autorecovery = Connect(StrCat("127.0.0.1:", port));

  const std::vector<Example> examples = ReadExamples();
  ASSERT_GE(examples.size(), 4u);
  std::vector<std::string> done;
  for (const Example& example : examples) {
    SCOPED_TRACE(example.line);
    const auto& channel = example.port == "8081" ? of_bookie : of_autorecovery;
    done.push_back(example.what);
    if (example.what == "list") {
      const std::vector<std::string> services = Services(channel);
      EXPECT_TRUE(std::count(services.begin(), services.end(), "stele.admin.v1.Bookie"));
      continue;
    }
    const std::string json = absl::StrReplaceAll(example.json, {{"b1:3181", "bookie-1"}});
    const std::vector<std::string> replies = Call(channel, example, json, 1);
    ASSERT_EQ(replies.size(), 1u);
    if (example.what == "stele.admin.v1.Autorecovery/Drain") {
      EXPECT_TRUE(Has(replies[0], "\"state\":")) << replies[0];
    }
    if (example.what == "stele.admin.v1.Bookie/GetState") {
      EXPECT_TRUE(Has(replies[0], "\"bookieId\":\"bookie-1\"")) << replies[0];
    }
  }
  for (const char* const method :
       {"list", "stele.admin.v1.Bookie/GetState", "stele.admin.v1.Bookie/SetReadOnly",
        "stele.admin.v1.Autorecovery/Drain"}) {
    EXPECT_TRUE(std::count(done.begin(), done.end(), method)) << method;
  }
  // What the example has switched.
  const Example look{.what = "stele.admin.v1.Bookie/GetState"};
  EXPECT_TRUE(Has(Call(of_bookie, look, "{}", 1).at(0), "\"readOnly\":true"));
  autorecovery->Signal(SIGTERM);
  EXPECT_EQ(autorecovery->Wait(), 0);
  EXPECT_EQ(bookie.Stop(), 0) << bookie.log();
}

}  // namespace
}  // namespace stele::integration
